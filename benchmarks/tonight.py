"""See `tonight/main.py`."""

from tonight.main import main

if __name__ == "__main__":
    main()
