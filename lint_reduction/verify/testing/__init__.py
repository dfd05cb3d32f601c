"""What tests of the verifier need in place of hardware."""
