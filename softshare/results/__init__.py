"""What the records come to, in numbers and computed sentences."""
