"""The detector's image: where its pixels look, what they see, and how they count."""
