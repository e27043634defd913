"""The OpenAPI document and a page to read and try it."""
