"""The verifier's abstract interpretation beside concrete execution: on this processor (the crate here) and by p-code."""
