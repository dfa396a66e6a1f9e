"""python -m modelkit"""

from modelkit.cli.main import main

if __name__ == "__main__":
    main()
