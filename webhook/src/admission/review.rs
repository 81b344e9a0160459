//! The AdmissionReview v1 that comes in. Tolerant where the apiserver may add, strict where an answer would be a guess.
//!
//! | what comes | answer |
//! |---|---|
//! | no JSON, invalid UTF-8 in what is read, a key of the envelope twice | 400 |
//! | another `apiVersion` or `kind`, no `request`, no `uid` | 400 |
//! | unknown fields, unknown operations, kinds that no rule knows | 200, allowed |
//! | no `object` where there must be one | 200, allowed: there is nothing to judge |
//! | an `object` that is no JSON object, nests too deeply or holds half a surrogate pair | 200; refused by validation |
//! | a key twice inside an object | the last one counts, as in the apiserver |

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// The version of the API that is spoken.
pub(super) const API_VERSION: &str = "admission.k8s.io/v1";

/// The kind of the envelope.
pub(super) const KIND: &str = "AdmissionReview";

/// More of a uid than any apiserver sends.
const MAX_UID: usize = 128;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(borrow, default)]
    request: Option<Request<'a>>,
}

/// What is asked. `userInfo` and `options` are not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request<'a> {
    /// Echoed in the answer.
    #[serde(default)]
    pub uid: String,
    /// The kind the object was converted to.
    #[serde(default)]
    pub kind: GroupKind,
    /// The resource whose object is written.
    #[serde(default)]
    pub resource: GroupResource,
    /// The part of the object that is written: empty for the object itself.
    #[serde(default)]
    pub sub_resource: String,
    /// The name: empty when the apiserver has still to make one, and for `deletecollection`.
    #[serde(default)]
    pub name: String,
    /// The namespace: empty for what is in none.
    #[serde(default)]
    pub namespace: String,
    /// What is done with the object.
    #[serde(default)]
    pub operation: String,
    /// Whether nothing will be kept.
    #[serde(default)]
    pub dry_run: Option<bool>,
    /// The object as it will be, unparsed.
    #[serde(borrow, default)]
    pub object: Option<&'a RawValue>,
    /// The object as it was, unparsed.
    #[serde(borrow, default)]
    pub old_object: Option<&'a RawValue>,
}

/// A group and a kind; the version does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct GroupKind {
    /// Empty for the core group.
    #[serde(default)]
    pub group: String,
    /// The kind.
    #[serde(default)]
    pub kind: String,
}

/// A group and a resource; the version does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct GroupResource {
    /// Empty for the core group.
    #[serde(default)]
    pub group: String,
    /// The name in paths.
    #[serde(default)]
    pub resource: String,
}

impl<'a> Request<'a> {
    /// Reads a review. The error is for whoever sent it.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, String> {
        let envelope: Envelope<'a> = serde_json::from_slice(body)
            // The error names a place, and never what stands there but for unknown variants, of which there are none.
            .map_err(|error| format!("the body is no {KIND}: {}", place_of(&error)))?;
        if envelope.api_version != API_VERSION || envelope.kind != KIND {
            return Err(format!(
                "the body is no {API_VERSION} {KIND}; no other version is answered"
            ));
        }
        let request = envelope
            .request
            .ok_or_else(|| format!("the {KIND} has no request"))?;
        if request.uid.is_empty() || request.uid.len() > MAX_UID {
            return Err(format!("the request of the {KIND} has no usable uid"));
        }
        Ok(request)
    }
}

/// A parser's complaint without a word of the input.
fn place_of(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Syntax => "its JSON is broken",
        serde_json::error::Category::Data => "a field is of the wrong type or there twice",
        serde_json::error::Category::Io => "it can't be read",
    };
    format!("{what} at line {} column {}", error.line(), error.column())
}

/// An object of a review: `None` when there is none, an error when it can't be read.
pub(super) fn object(raw: Option<&RawValue>) -> Result<Option<Value>, Unreadable> {
    // `null` is read as `None` by serde already; an object is all that can be judged.
    let Some(raw) = raw else { return Ok(None) };
    match serde_json::from_str(raw.get()) {
        Ok(value @ Value::Object(_)) => Ok(Some(value)),
        Ok(Value::Null) => Ok(None),
        Ok(_) | Err(_) => Err(Unreadable),
    }
}

/// An object that is no JSON object, or one that no apiserver could have sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u"}}"#;

    fn problem(body: &[u8]) -> String {
        Request::read(body).err().unwrap()
    }

    #[test]
    fn what_is_no_review_is_said_to_be_none() {
        assert!(Request::read(GOOD.as_bytes()).is_ok());
        assert_eq!(
            problem(b""),
            "the body is no AdmissionReview: it ends too early at line 1 column 0"
        );
        assert_eq!(
            problem(b"{]"),
            "the body is no AdmissionReview: its JSON is broken at line 1 column 2"
        );
        assert_eq!(
            problem(GOOD.replace("/v1", "/v1beta1").as_bytes()),
            "the body is no admission.k8s.io/v1 AdmissionReview; no other version is answered"
        );
        assert_eq!(
            problem(GOOD.replace("AdmissionReview", "Pod").as_bytes()),
            "the body is no admission.k8s.io/v1 AdmissionReview; no other version is answered"
        );
        assert_eq!(
            problem(GOOD.replace(r#"{"uid":"u"}"#, "null").as_bytes()),
            "the AdmissionReview has no request"
        );
        for uid in ["", &"u".repeat(129)] {
            assert_eq!(
                problem(
                    GOOD.replace(r#""uid":"u""#, &format!(r#""uid":"{uid}""#))
                        .as_bytes()
                ),
                "the request of the AdmissionReview has no usable uid"
            );
        }
    }

    #[test]
    fn a_key_of_the_envelope_twice_is_refused_and_unknown_ones_are_not() {
        let twice = GOOD.replace(r#""uid":"u""#, r#""uid":"u","uid":"v""#);
        assert!(problem(twice.as_bytes()).starts_with(
            "the body is no AdmissionReview: a field is of the wrong type or there twice at line 1"
        ));
        let more = GOOD.replace(
            r#""uid":"u""#,
            r#""uid":"u","new":[{}],"userInfo":{"username":"x"}"#,
        );
        assert_eq!(Request::read(more.as_bytes()).ok().unwrap().uid, "u");
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let mut body = GOOD
            .replace(r#""uid":"u""#, r#""uid":"u","object":{"a":"?"}"#)
            .into_bytes();
        let at = body.iter().position(|byte| *byte == b'?').unwrap();
        body[at] = 0xff;
        assert!(problem(&body).starts_with("the body is no AdmissionReview: "));
    }

    fn object_of(text: &str) -> Result<Option<Value>, Unreadable> {
        let body = GOOD.replace(r#""uid":"u""#, &format!(r#""uid":"u","object":{text}"#));
        object(Request::read(body.as_bytes()).ok().unwrap().object)
    }

    #[test]
    fn an_object_is_read_on_its_own() {
        assert_eq!(object_of("null"), Ok(None));
        assert_eq!(object_of("[]"), Err(Unreadable));
        assert_eq!(object_of(r#"{"a":"\ud800"}"#), Err(Unreadable));
        let deep = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
        assert_eq!(object_of(&deep), Err(Unreadable));
        assert_eq!(
            object_of(r#"{"a":1,"a":2}"#),
            Ok(Some(serde_json::json!({"a": 2})))
        );
    }
}
