"""The decoders against their formulas, one sequence and one token at a time."""

import torch

from netwright.surrogates.decoders import AdditiveDecoder, DotDecoder, pool

H, V, T, L = 6, 5, 4, 3


def made(decoder):
    generator = torch.Generator().manual_seed(0)
    decoder.to_empty(device="cpu")
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter.data, generator=generator)
    states = torch.nn.functional.normalize(torch.randn(2, T, H, generator=generator), dim=-1)
    return decoder, torch.tensor([[1, 2, 3], [4, 4, 1]]), states


def test_additive_attention_is_fed_back():
    decoder, sequences, states = made(AdditiveDecoder(V, H))
    cell = torch.nn.LSTMCell(2 * H, H)
    with torch.no_grad():
        cell.weight_ih.copy_(torch.cat([decoder.from_token.weight, decoder.from_memory.weight[:, :H]], 1))
        cell.weight_hh.copy_(decoder.from_memory.weight[:, H:])
        cell.bias_ih.copy_(decoder.from_token.bias)
        cell.bias_hh.zero_()
        found = decoder(sequences, states)
        for n in range(2):
            context, output = torch.zeros(H), pool(states[n : n + 1])[0]
            memory = output
            for t in range(L):
                read = torch.cat([decoder.embedding.weight[sequences[n, t - 1] if t else 0], context])
                output, memory = cell(read, (output, memory))
                asked = decoder.query.weight @ output + decoder.offset
                scores = [
                    decoder.scale
                    * (decoder.direction / decoder.direction.norm())
                    @ torch.tanh(decoder.key.weight @ h + asked)
                    for h in states[n]
                ]
                context = torch.softmax(torch.stack(scores), 0) @ states[n]
                torch.testing.assert_close(found[n, t], decoder.out(output))


def test_plain_dot_products_ask_without_a_map():
    decoder, sequences, states = made(DotDecoder(V, H, is_mapped=False))
    with torch.no_grad():
        start = pool(states).unsqueeze(0)
        outputs, _ = decoder.lstm(decoder.embedding(torch.nn.functional.pad(sequences[:, :-1], (1, 0))), (start, start))
        contexts = torch.softmax(outputs @ states.transpose(1, 2), -1) @ states
        expected = decoder.out(torch.tanh(decoder.combine(torch.cat([contexts, outputs], -1))))
        assert decoder.query is None and decoder.combine.bias is not None
        torch.testing.assert_close(decoder(sequences, states), expected)


def test_greedy_sequences_keep_to_the_masks():
    masks = torch.zeros(L, V, dtype=torch.bool)
    masks[0, 1:3] = masks[1, 3:] = masks[2, 4] = True
    for decoder in (AdditiveDecoder(V, H), DotDecoder(V, H, is_mapped=True)):
        decoder, _, states = made(decoder)
        for sequence in decoder.greedy(states, masks).tolist():
            assert all(masks[position, token] for position, token in enumerate(sequence))
