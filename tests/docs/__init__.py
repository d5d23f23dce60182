"""What the documents say, tried: their statements, commands, configurations and programs."""
