//! Azure Storage as a carrier for Stillwire: operation to HTTP request, response to reply.
