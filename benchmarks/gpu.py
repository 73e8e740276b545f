"""See `gpu/main.py`."""

from gpu.main import main

if __name__ == "__main__":
    main()
