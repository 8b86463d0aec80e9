"""What a unit stores beside identifiers: memory by address, files, its own software, and transfers into and out of them."""
