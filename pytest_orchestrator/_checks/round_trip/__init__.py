"""The round trip: core answers, the api relays, the frontend shows; who is to blame if not."""
