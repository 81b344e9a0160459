//! One JSON object: the listing as it is. `report.schema.json` describes it.

use serde::Serialize;

use super::{RenderError, escape};
use crate::listing::Listing;

/// Grows when a field changes its meaning or goes; others may be added.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    #[serde(flatten)]
    listing: &'a Listing,
}

pub(super) fn render(listing: &Listing) -> Result<String, RenderError> {
    let document = Document {
        version: VERSION,
        listing,
    };
    let mut document = escape::json(&serde_json::to_string_pretty(&document)?);
    document.push('\n');
    Ok(document)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::output::sample;

    #[test]
    fn findings_and_summary_are_one_object() {
        let expected = r#"{
  "version": 1,
  "findings": [
    {
      "policy": "service-route",
      "action": "deny",
      "object": {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "namespace": "nats",
        "name": "nats-config"
      },
      "field": "data[\"nats.conf\"].cluster.routes[0]",
      "reason": "a route names a Service",
      "detail": "nats-svc leads to any pod",
      "remedy": "name each pod",
      "file": "deploy/my nats.yaml",
      "line": 14,
      "column": 9
    },
    {
      "policy": "co-located-replicas",
      "action": "fix",
      "object": {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "namespace": "nats",
        "name": "nats"
      },
      "field": "spec.template.spec.affinity",
      "reason": "nothing keeps two replicas off one node",
      "detail": "3 replicas",
      "remedy": "add a rule",
      "file": "deploy/my nats.yaml",
      "line": 40,
      "column": 3
    },
    {
      "policy": "network-filesystem",
      "action": "warn",
      "object": {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "namespace": null,
        "name": "nfs"
      },
      "field": "provisioner",
      "reason": "the store lies on a network file system",
      "detail": "",
      "remedy": "use a block device",
      "file": "<stdin>",
      "line": 3,
      "column": 14
    }
  ],
  "unchecked": [],
  "problems": [],
  "summary": {
    "deny": 1,
    "fix": 1,
    "warn": 1,
    "objects": 7
  }
}
"#;
        assert_eq!(render(&sample::listing()).unwrap(), expected);
    }

    #[test]
    fn nothing_found_is_an_empty_list() {
        let expected = r#"{
  "version": 1,
  "findings": [],
  "unchecked": [],
  "problems": [],
  "summary": {
    "deny": 0,
    "fix": 0,
    "warn": 0,
    "objects": 7
  }
}
"#;
        assert_eq!(render(&sample::empty()).unwrap(), expected);
    }

    #[test]
    fn texts_come_through_as_they_are() {
        let listing = sample::hostile();
        let mut parsed: Value = serde_json::from_str(&render(&listing).unwrap()).unwrap();
        assert_eq!(
            parsed.as_object_mut().unwrap().remove("version"),
            Some(1.into())
        );
        assert_eq!(parsed, serde_json::to_value(&listing).unwrap());
    }
}
