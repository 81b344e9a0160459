//! `/mutate` and `/validate`: from a request to a review and back, within its bounds.

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument as _, Span};

use super::body;
use super::budget::Budget;
use super::limits::Limits;
use super::refusal::Refusal;
use crate::admission::{Answer, Step};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::{log, traces};

/// A boxed future, so that [`Reviewer`] can be an object.
pub type Deciding<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// Who decides. The server knows nothing of how.
pub trait Reviewer: Send + Sync {
    /// One AdmissionReview in, one out.
    fn answer<'a>(&'a self, step: Step, body: &'a [u8], deadline: Instant) -> Deciding<'a>;
}

/// What all reviews share.
pub(super) struct Reviews {
    pub(super) reviewer: Arc<dyn Reviewer>,
    pub(super) limits: Arc<Limits>,
    pub(super) metrics: Arc<Metrics>,
    turns: Semaphore,
    budget: Budget,
}

impl Reviews {
    pub(super) fn new(
        reviewer: Arc<dyn Reviewer>,
        limits: Arc<Limits>,
        metrics: Arc<Metrics>,
    ) -> Self {
        for refusal in Refusal::SHEDS {
            metrics.may_shed(refusal.label());
        }
        Self {
            reviewer,
            turns: Semaphore::new(limits.reviews),
            budget: Budget::new(limits.memory_bytes),
            limits,
            metrics,
        }
    }

    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/mutate", post(mutate))
            .route("/validate", post(validate))
            .fallback(async |state: State<Arc<Self>>| refuse(&state, &Refusal::Path))
            .method_not_allowed_fallback(async |state: State<Arc<Self>>| {
                refuse(&state, &Refusal::Method)
            })
            .with_state(Arc::new(self))
    }

    async fn answer(&self, step: Step, request: Request, span: &Span) -> Result<Response, Refusal> {
        let began = Instant::now();
        let _in_flight = self.metrics.in_flight();
        if !is_json(request.headers()) {
            return Err(Refusal::MediaType);
        }
        let time = self.limits.allowance(request.uri().query());
        let deadline = began + time;
        let body = body::read(
            request.into_body(),
            &self.limits,
            &self.budget,
            began,
            deadline,
        )
        .await?;
        let queued = deadline.min(Instant::now() + self.limits.queue);
        let Ok(Ok(_turn)) = timeout_at(queued, self.turns.acquire()).await else {
            return Err(Refusal::Busy);
        };
        // Half of the margin: an answer that is a little late may still be in time.
        let end = deadline + self.limits.margin / 2;
        let answer = self.reviewer.answer(step, &body.bytes, deadline);
        let Ok(answer) = timeout_at(end, answer).await else {
            return Err(Refusal::Late { within: time });
        };
        let size = body.bytes.len();
        self.metrics
            .review(step, &answer.record, began.elapsed(), size);
        log::review(step, &answer.record, began.elapsed(), size);
        traces::answered(span, &answer.record);
        Ok(respond(answer))
    }
}

async fn mutate(state: State<Arc<Reviews>>, request: Request) -> Response {
    review(state, Step::Mutate, request).await
}

async fn validate(state: State<Arc<Reviews>>, request: Request) -> Response {
    review(state, Step::Validate, request).await
}

async fn review(state: State<Arc<Reviews>>, step: Step, request: Request) -> Response {
    let span = traces::review(step, request.headers());
    let answer = state.answer(step, request, &span);
    match answer.instrument(span.clone()).await {
        Ok(response) => response,
        Err(refusal) => {
            traces::refused(&span, refusal.label());
            refuse(&state, &refusal)
        }
    }
}

fn refuse(reviews: &Reviews, refusal: &Refusal) -> Response {
    if refusal.is_shed() {
        reviews.metrics.shed(refusal.label());
    } else {
        reviews.metrics.refused(refusal.label());
    }
    tracing::debug!(reason = refusal.label(), "refused a request");
    refusal.into_response()
}

fn respond(answer: Answer) -> Response {
    let mut response = (answer.status, answer.body).into_response();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Nothing is ever decompressed, so that a small body stays small.
fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    media_type.is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/json"))
        && headers
            .get(CONTENT_ENCODING)
            .is_none_or(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_json_and_nothing_else() {
        let headers = |kind: &'static str, encoding: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            if let Some(encoding) = encoding {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
            }
            headers
        };
        assert!(is_json(&headers("application/json", None)));
        assert!(is_json(&headers(
            "Application/JSON; charset=utf-8",
            Some("identity")
        )));
        assert!(!is_json(&headers("application/json", Some("gzip"))));
        assert!(!is_json(&headers("application/yaml", None)));
        assert!(!is_json(&headers("application/jsonp", None)));
        assert!(!is_json(&HeaderMap::new()));
    }
}
