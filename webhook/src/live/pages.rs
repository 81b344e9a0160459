//! A list page by page, none of them larger than so many bytes: of large objects fewer are asked for.

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Bytes;
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use serde_json::value::RawValue;

use super::FindError;
use crate::facts::Page;

/// A page is no more text than this.
const MAX_BYTES: usize = 4 << 20;

/// Nor is a single object: 1.5 MiB in etcd, of which each byte may take six as JSON.
const MAX_OBJECT: usize = 10 << 20;

/// How often a list may begin again because the cluster forgot where it was.
pub(crate) const BEGINNINGS: usize = 3;

/// A list on its way.
pub(crate) struct Pages {
    client: Client,
    plural: &'static str,
    path: String,
    most: usize,
    limit: usize,
    next: String,
}

impl Pages {
    /// Asks for so many objects at a time, if they are small. The path may have a query.
    pub(crate) fn new(client: &Client, plural: &'static str, path: String, most: usize) -> Self {
        Self {
            client: client.clone(),
            plural,
            path,
            most,
            limit: most,
            next: String::new(),
        }
    }

    /// Reads the next page, item by item. False when it is the last one.
    pub(crate) async fn read(
        &mut self,
        take: &mut (dyn FnMut(&RawValue) -> Result<(), serde_json::Error> + Send),
    ) -> Result<bool, FindError> {
        let body = loop {
            match self.body().await? {
                Some(body) => break body,
                None => self.limit = (self.limit / 4).max(1),
            }
        };
        let error = |error: serde_json::Error| self.error(error);
        let page: Page<'_> = serde_json::from_slice(&body).map_err(error)?;
        for item in page.items.unwrap_or_default() {
            take(item).map_err(error)?;
        }
        if body.len() < MAX_BYTES / 4 {
            self.limit = (self.limit * 2).min(self.most);
        }
        self.next = page.metadata.next.unwrap_or_default();
        Ok(!self.next.is_empty())
    }

    /// The text of a page; `None` when it is too large for so many objects.
    async fn body(&self) -> Result<Option<Bytes>, FindError> {
        let plural = self.plural;
        let request = Request::get(self.target())
            .body(Body::empty())
            .map_err(|error| self.error(error))?;
        let response = self.client.send(request).await;
        let response = response.map_err(|error| FindError::Client { plural, error })?;
        let status = response.status();
        let most = if self.limit > 1 {
            MAX_BYTES
        } else {
            MAX_OBJECT
        };
        let body = match Limited::new(response.into_body(), most).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if self.limit > 1 && error.is::<LengthLimitError>() => return Ok(None),
            Err(error) => return Err(self.error(error)),
        };
        if status == StatusCode::OK {
            return Ok(Some(body));
        }
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        let message = said.get("message").and_then(Value::as_str);
        Err(FindError::Refused {
            plural,
            status,
            message: message.map_or_else(|| status.to_string(), str::to_owned),
        })
    }

    fn target(&self) -> String {
        let Self {
            path, limit, next, ..
        } = self;
        let mark = if path.contains('?') { '&' } else { '?' };
        let mut target = format!("{path}{mark}limit={limit}");
        if !next.is_empty() {
            // A token is base64 for URLs.
            target.push_str("&continue=");
            target.push_str(next);
        }
        target
    }

    fn error(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> FindError {
        FindError::Body {
            plural: self.plural,
            error: error.into(),
        }
    }
}

#[cfg(test)]
mod tests;
