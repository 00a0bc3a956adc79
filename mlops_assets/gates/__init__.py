"""What a data version or a candidate must show before anything is made of it or it is released."""
