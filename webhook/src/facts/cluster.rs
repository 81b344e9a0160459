//! The cluster as the apiserver tells it: every answer bounded in bytes, every failure an unknown.

use std::sync::Arc;

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Bytes;
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::cache::Cache;
use super::resource::{Resource, Scope, VOLUMES};
use super::{Answering, Cluster, Known, Query, Select, heft};

/// One answer is no larger than this. An object is at most 1.5 MiB in etcd; a list may have to stay unknown.
const MAX_BYTES: usize = 4 << 20;

/// The objects of one list take no more memory than this.
const MAX_LIST: usize = 32 << 20;

/// Objects asked for at a time.
const PAGE: usize = 250;

/// A list of more pages stays unknown: half a list proves nothing.
const MAX_PAGES: usize = 8;

/// What was found and its size as text, or why nothing can be said.
type Answer = Result<(Known, usize), Known>;

/// The cluster behind a client.
pub struct Kube {
    client: Client,
    cache: Cache,
}

impl Kube {
    /// Asks through this client.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            cache: Cache::default(),
        }
    }

    async fn answer(&self, query: &Query) -> Known {
        if let Some(known) = self.cache.get(query, Instant::now()) {
            return known;
        }
        // The apiserver lets an object mount what can't exist: that is not there, and no answer that is missing.
        if let Select::Named(named) = &query.select
            && name(named).is_none()
        {
            return Known::Absent;
        }
        let Some(path) = path(query) else {
            return Known::Unknown;
        };
        let (known, bytes) = match &query.select {
            Select::Named(name) => self.object(query.resource, &path, name).await,
            Select::All => self.list(query, &path).await,
        }
        .unwrap_or_else(|known| (known, 0));
        self.cache.put(query, &known, bytes, Instant::now());
        known
    }

    async fn object(&self, resource: &Resource, path: &str, name: &str) -> Answer {
        let (status, body) = self.read(path, MAX_BYTES).await?;
        let value = parse(std::str::from_utf8(&body).map_err(unknown)?)?;
        match status {
            StatusCode::OK => {
                let object = tidy(value, resource).ok_or(Known::Unknown)?;
                Ok((Known::Objects(Arc::new(vec![object])), body.len()))
            }
            // A 404 of another kind is about the path: an API that this cluster does not have.
            StatusCode::NOT_FOUND
                if value["reason"] == "NotFound" && value["details"]["name"] == name =>
            {
                Ok((Known::Absent, 0))
            }
            _ => Err(Known::Unknown),
        }
    }

    async fn list(&self, query: &Query, path: &str) -> Answer {
        let mut objects = Vec::new();
        let (mut total, mut heft) = (0, 0);
        let mut next = String::new();
        for _ in 0..MAX_PAGES {
            let page = if next.is_empty() {
                format!("{path}?limit={PAGE}")
            } else {
                format!("{path}?limit={PAGE}&continue={next}")
            };
            let (status, body) = self.read(&page, MAX_BYTES.saturating_sub(total)).await?;
            if status != StatusCode::OK {
                return Err(Known::Unknown);
            }
            total += body.len();
            let page: Page<'_> = serde_json::from_slice(&body).map_err(unknown)?;
            for item in page.items.unwrap_or_default() {
                // One at a time: parsed, a list takes many times the memory of its text.
                let value = parse(item.get())?;
                if is_wanted(&value, query) {
                    let object = tidy(value, query.resource).ok_or(Known::Unknown)?;
                    heft += heft::of(&object);
                    if heft > MAX_LIST {
                        return Err(Known::TooMuch);
                    }
                    objects.push(object);
                }
            }
            next = page.metadata.next.unwrap_or_default();
            if next.is_empty() {
                return Ok((Known::Objects(Arc::new(objects)), total));
            }
            if !next
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            {
                return Err(Known::Unknown);
            }
        }
        Err(Known::TooMuch)
    }

    async fn read(&self, path: &str, most: usize) -> Result<(StatusCode, Bytes), Known> {
        let request = Request::get(path).body(Body::empty()).map_err(unknown)?;
        let response = self.client.send(request).await.map_err(unknown)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), most).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Known::TooMuch
            } else {
                Known::Unknown
            }
        })?;
        Ok((status, body.to_bytes()))
    }
}

impl Cluster for Kube {
    fn ask<'a>(&'a self, query: &'a Query) -> Answering<'a> {
        Box::pin(self.answer(query))
    }
}

fn parse(text: &str) -> Result<Value, Known> {
    if heft::of_text(text) > heft::MAX_OBJECT {
        return Err(Known::TooMuch);
    }
    serde_json::from_str(text).map_err(unknown)
}

fn unknown<E>(_: E) -> Known {
    Known::Unknown
}

/// A page of a list, its objects unread.
#[derive(Deserialize)]
pub(crate) struct Page<'a> {
    #[serde(default)]
    pub(crate) metadata: PageMetadata,
    #[serde(borrow, default)]
    pub(crate) items: Option<Vec<&'a RawValue>>,
}

/// Where the next page begins.
#[derive(Default, Deserialize)]
pub(crate) struct PageMetadata {
    #[serde(rename = "continue", default)]
    pub(crate) next: Option<String>,
}

/// The path of a question: `None` when a name can't be one. Names come from objects under review, and must not lead
/// anywhere else.
fn path(query: &Query) -> Option<String> {
    let Resource {
        group,
        version,
        plural,
        scope,
        ..
    } = query.resource;
    let mut path = if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    };
    if *scope == Scope::Namespaced {
        path = format!("{path}/namespaces/{}", name(&query.namespace)?);
    }
    path = format!("{path}/{plural}");
    match &query.select {
        Select::Named(named) => Some(format!("{path}/{}", name(named)?)),
        Select::All => Some(path),
    }
}

/// Whether an object can have this name.
pub(crate) fn is_name(text: &str) -> bool {
    name(text).is_some()
}

/// A DNS subdomain, as all names are that reviews refer to.
fn name(name: &str) -> Option<&str> {
    let is_fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [name.bytes().next(), name.bytes().last()];
    let is_name = name.len() <= 253
        && ends.iter().all(|end| end.is_some_and(is_fine))
        && name
            .bytes()
            .all(|byte| is_fine(byte) || b"-.".contains(&byte));
    is_name.then_some(name)
}

/// A volume that nobody has claimed yet may be bound to any claim.
fn is_wanted(value: &Value, query: &Query) -> bool {
    let claimed_from = &value["spec"]["claimRef"]["namespace"];
    *query.resource != VOLUMES || claimed_from.is_null() || *claimed_from == query.namespace
}

/// An object without what no rule reads, and with its type, which items of lists don't carry.
pub(crate) fn tidy(mut value: Value, resource: &Resource) -> Option<Value> {
    let object = value.as_object_mut()?;
    object.remove("status");
    object.insert("apiVersion".to_owned(), resource.api_version().into());
    object.insert("kind".to_owned(), resource.kind.into());
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    Some(value)
}

#[cfg(test)]
mod tests;
