//! Why a request was not done: one closed set, each with its HTTP status and a page.
//!
//! A fault travels as an extension of an empty response; `dress` puts the page around it, so that
//! faults of handlers, of the router and of the server look alike.

use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use posthouse_store::StoreError;
use serde::Serialize;

/// What a handler comes to.
pub(crate) type Answer = Result<Response, Fault>;

/// See the module's text. The names are the words by which a template tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// The form is not one of ours, or a field in it is not.
    BadForm,
    /// The form did not come from our own page.
    Foreign,
    /// No such page; also every link that does not open, for whatever reason.
    NotFound,
    /// The page does not take this method.
    Method,
    /// The form is longer than `request_octets`.
    TooLarge,
    /// The request was not read and answered within `request_timeout`.
    TooSlow,
    /// The store fails, or a template does.
    Failing,
}

impl Fault {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::BadForm => StatusCode::BAD_REQUEST,
            Self::Foreign => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow | Self::Failing => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a page could not reach the store");
        Self::Failing
    }
}

impl From<tera::Error> for Fault {
    fn from(error: tera::Error) -> Self {
        tracing::error!(%error, "a page could not be rendered");
        Self::Failing
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        tracing::error!(%error, "a message could not be read for a page");
        Self::Failing
    }
}
