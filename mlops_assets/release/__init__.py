"""One mechanism for all that is released: registration, decision, aliases, composition, rollout, promotion."""
