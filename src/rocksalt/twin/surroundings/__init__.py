"""Around the cell: hutch, shutter and door; heater and room."""
