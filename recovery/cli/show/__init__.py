"""The output for operators: tables and trees, or JSON.

JSON is a contract: `contract.VERSION` grows when a key is removed or changes its meaning (docs/json.md).
"""
