"""Reading data: tables, images, built-ins; understanding, preparing and splitting them."""
