"""OAuth 2.0 as a wire: the client credentials grant (RFC 6749, 4.4) with opaque bearer tokens (RFC 6750)."""

from integrations.oauth.server import (
    TOKEN_LIFETIME_S,
    Store,
    TokenAnswer,
    TokenRequest,
    metadata,
    token_answer,
)

__all__ = ["TOKEN_LIFETIME_S", "Store", "TokenAnswer", "TokenRequest", "metadata", "token_answer"]
