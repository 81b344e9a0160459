//! Answers to what is no review: a status, a text that says what to do, and a label to count by.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONNECTION, RETRY_AFTER};
use http::{HeaderValue, StatusCode};

/// Why a request is not answered with a review.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("there is nothing at this path; POST an AdmissionReview to /mutate or /validate")]
    Path,
    #[error("send the AdmissionReview with POST")]
    Method,
    #[error("send the AdmissionReview as application/json, not encoded")]
    MediaType,
    #[error(
        "the body has more than {limit} bytes; an AdmissionReview of an object that Kubernetes stores is smaller"
    )]
    TooLarge { limit: usize },
    #[error(
        "the body has about {values} JSON values; an AdmissionReview of an object that Kubernetes stores has fewer"
    )]
    TooDense { values: usize },
    #[error("the body did not arrive within {} ms", .within.as_millis())]
    SlowBody { within: Duration },
    #[error("the body ended early or is no HTTP/1.1 body")]
    BrokenBody,
    #[error("too many reviews at once; try again in a second")]
    Busy,
    #[error("too many bytes in reviews at once; try again in a second")]
    Full,
    #[error("the answer was not ready within {} ms", .within.as_millis())]
    Late { within: Duration },
    #[error("natsguard failed on this request; its log says where")]
    Panicked,
}

impl Refusal {
    /// Those after which the same request may succeed in a second.
    pub(super) const SHEDS: [Self; 2] = [Self::Busy, Self::Full];

    /// As a metric label.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Method => "method",
            Self::MediaType => "media-type",
            Self::TooLarge { .. } => "too-large",
            Self::TooDense { .. } => "too-dense",
            Self::SlowBody { .. } => "slow-body",
            Self::BrokenBody => "broken-body",
            Self::Busy => "busy",
            Self::Full => "memory",
            Self::Late { .. } => "late",
            Self::Panicked => "panic",
        }
    }

    /// Whether the same request may succeed in a second. The apiserver then tries again within its own timeout.
    pub(super) fn is_shed(&self) -> bool {
        Self::SHEDS.contains(self)
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Path => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } | Self::TooDense { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::SlowBody { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::BrokenBody => StatusCode::BAD_REQUEST,
            Self::Busy | Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            Self::Late { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether there may be a rest of the body on the way, which nobody will read.
    fn leaves_a_rest(&self) -> bool {
        !matches!(self, Self::Busy | Self::TooDense { .. } | Self::Late { .. })
    }
}

impl IntoResponse for &Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status(), format!("{self}\n")).into_response();
        let headers = response.headers_mut();
        if self.is_shed() {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if *self == Refusal::Method {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        if self.leaves_a_rest() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
