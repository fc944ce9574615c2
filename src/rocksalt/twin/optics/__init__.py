"""Light: lamp and spectrometer, absorption, luminescence, and the ruby that tells the pressure."""
