"""How fast, beside naive peers and bare limits: ratios measured side by side in one run, never a verdict by a clock."""
