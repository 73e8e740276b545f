"""Exported networks on the Hugging Face hub: `push` publishes one, `pull` fetches one."""
