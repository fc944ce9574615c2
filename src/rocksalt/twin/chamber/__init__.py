"""The irradiation chamber: X-ray generator and tube, filter, shutter, and the dose that arrives in the crystal."""
