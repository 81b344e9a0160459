//! Whether the webhook configurations lead to natsguard, and trust it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

use super::line::Line;
use crate::certificates::Seconds;
use crate::certificates::bundles::Configuration;

const WHAT: &str = "configuration";
const BUNDLE: &str = "caBundle";
const REINSTALL: &str = "run helm upgrade with the release's values";
const SET_BUNDLE: &str = "in tls.mode self natsguard sets it within seconds, so see its log and its rights; otherwise \
                          see to cert-manager's injector or the service CA's annotation, or set tls.caBundle";

/// What a configuration says, and the bundle when it is of use.
pub(super) fn judge(
    configuration: &Configuration,
    object: &Value,
    (namespace, service): (&str, &str),
    now: Seconds,
) -> (Vec<Line>, Option<Vec<u8>>) {
    let webhooks = object
        .get("webhooks")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    if webhooks.is_empty() {
        let text = format!("{configuration} has no webhooks, so nothing is guarded");
        return (vec![Line::broken(WHAT, text, REINSTALL)], None);
    }
    let text = |webhook: &Value, pointer: &str| -> String {
        let found = webhook.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    let mut lines = Vec::new();
    let mut bundle: Option<Vec<u8>> = None;
    let mut astray = Vec::new();
    let mut untrusted = Vec::new();
    for webhook in webhooks {
        let name = text(webhook, "/name");
        let to = (
            text(webhook, "/clientConfig/service/namespace"),
            text(webhook, "/clientConfig/service/name"),
        );
        if to != (namespace.to_owned(), service.to_owned()) {
            astray.push(name.clone());
        }
        let found = STANDARD
            .decode(text(webhook, "/clientConfig/caBundle"))
            .unwrap_or_default();
        match usable(&found, now) {
            Ok(()) if bundle.as_ref().is_none_or(|bundle| *bundle == found) => bundle = Some(found),
            Ok(()) => untrusted.push(format!("{name}: another than its neighbour's")),
            Err(problem) => untrusted.push(format!("{name}: {problem}")),
        }
    }
    if astray.is_empty() {
        let policies: Vec<String> = webhooks
            .iter()
            .map(|webhook| text(webhook, "/failurePolicy"))
            .collect();
        let open = policies.iter().filter(|policy| *policy == "Ignore").count();
        lines.push(Line::fine(
            WHAT,
            format!(
                "{configuration} leads to Service {namespace}/{service}; webhooks: {}, {open} of them let writes through \
                 when natsguard is away",
                webhooks.len()
            ),
        ));
    } else {
        let text = format!(
            "{configuration}: {} lead elsewhere than to Service {namespace}/{service}",
            astray.join(", ")
        );
        lines.push(Line::broken(
            WHAT,
            text,
            "give --namespace and --service of the release, or run helm upgrade",
        ));
    }
    if untrusted.is_empty() {
        lines.push(Line::fine(
            BUNDLE,
            format!("{configuration} has one for each webhook"),
        ));
    } else {
        let text = format!("{configuration}: {}", untrusted.join(", "));
        lines.push(Line::broken(BUNDLE, text, SET_BUNDLE));
    }
    (lines, bundle)
}

pub(super) fn absent(configuration: &Configuration) -> Line {
    Line::broken(
        WHAT,
        format!("{configuration} does not exist, so nothing is guarded"),
        "install the chart, or name another with --webhook-configuration",
    )
}

fn usable(bundle: &[u8], now: Seconds) -> Result<(), String> {
    if bundle.is_empty() {
        return Err("empty".to_owned());
    }
    let mut valid = false;
    for certificate in CertificateDer::pem_slice_iter(bundle) {
        let certificate = certificate.map_err(|_| "no PEM")?;
        let (_, certificate) =
            x509_parser::parse_x509_certificate(&certificate).map_err(|_| "no certificate")?;
        valid |= certificate.validity().not_after.timestamp() > now;
    }
    if valid {
        Ok(())
    } else {
        Err("without a certificate that hasn't expired".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::certificates::bundles::Kind;
    use crate::certificates::ca::Ca;

    const NOW: Seconds = 1_800_000_000;

    fn judged(webhooks: &Value) -> (Vec<String>, Option<Vec<u8>>) {
        let configuration = Configuration {
            kind: Kind::Validating,
            name: "natsguard".to_owned(),
        };
        let object = json!({"webhooks": webhooks});
        let (lines, bundle) = judge(&configuration, &object, ("ops", "natsguard"), NOW);
        let lines = lines
            .iter()
            .map(|line| {
                line.to_string()
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        (lines, bundle)
    }

    fn webhook(namespace: &str, bundle: &str) -> Value {
        json!({
            "name": "a.natsguard.dev",
            "failurePolicy": "Fail",
            "clientConfig": {
                "service": {"namespace": namespace, "name": "natsguard"},
                "caBundle": STANDARD.encode(bundle),
            },
        })
    }

    #[test]
    fn what_is_right_is_said_and_its_bundle_used() {
        let pem = Ca::generate(NOW, 60).unwrap().certificate.pem;
        let (lines, bundle) = judged(&json!([webhook("ops", &pem), webhook("ops", &pem)]));
        assert_eq!(
            lines,
            [
                "ok configuration validating/natsguard leads to Service ops/natsguard; webhooks: 2, 0 of them let \
                 writes through when natsguard is away",
                "ok caBundle validating/natsguard has one for each webhook",
            ]
        );
        assert_eq!(bundle, Some(pem.into_bytes()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let expired = Ca::generate(NOW - 100, 60).unwrap().certificate.pem;
        for (bundle, problem) in [
            ("", "empty"),
            ("nonsense", "without a certificate that hasn't expired"),
            (
                expired.as_str(),
                "without a certificate that hasn't expired",
            ),
        ] {
            let (lines, found) = judged(&json!([webhook("elsewhere", bundle)]));
            assert_eq!(
                lines[0],
                "BROKEN configuration validating/natsguard: a.natsguard.dev lead elsewhere than to Service \
                 ops/natsguard; give --namespace and --service of the release, or run helm upgrade"
            );
            assert!(
                lines[1].starts_with(&format!(
                    "BROKEN caBundle validating/natsguard: a.natsguard.dev: {problem}; in tls.mode self"
                )),
                "{}",
                lines[1]
            );
            assert_eq!(found, None);
        }
    }

    #[test]
    fn a_configuration_without_webhooks_guards_nothing() {
        let (lines, _) = judged(&json!([]));
        assert_eq!(
            lines,
            [
                "BROKEN configuration validating/natsguard has no webhooks, so nothing is guarded; run helm upgrade \
                 with the release's values"
            ]
        );
    }
}
