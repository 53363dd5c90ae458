"""The JSON of the API as pydantic models, a module per resource: what is sent and what is answered.

Members are camelCase.
"""
