"""`python -m rocksalt` is `rocksalt`."""

from rocksalt.cli import main

main()
