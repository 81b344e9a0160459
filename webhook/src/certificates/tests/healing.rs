//! Starting together, staying quiet, and mending what others break.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::apiserver::{Apiserver, SECRET, configurations};
use super::bed::{FAST, Replica, SLOW};

const HEALED: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn five_replicas_that_start_at_once_agree_on_one_ca() {
    for round in 0..20 {
        let server = Apiserver::installed();
        for _ in 0..round {
            server.lock().random();
        }
        let replicas = Replica::several(5, &server, &SLOW);
        sleep(HEALED).await;
        let created = format!("POST {}", SECRET.trim_end_matches("/natsguard-ca"));
        let secrets: Vec<String> = server.lock().writes.clone();
        let secrets: Vec<&String> = secrets
            .iter()
            .filter(|write| write.contains("/secrets"))
            .collect();
        assert_eq!(secrets, [&created]);
        for replica in &replicas {
            assert!(replica.is_ready(), "{:?}", replica.lifecycle.missing());
            replica.is_trusted_by(&server).unwrap();
        }
        for bundle in server.bundles() {
            assert_eq!(bundle.matches("BEGIN").count(), 1);
        }
        let mut leaves: Vec<_> = replicas.iter().map(Replica::leaf).collect();
        leaves.dedup();
        assert_eq!(leaves.len(), 5, "each has its own");
        for replica in &replicas {
            replica.running.abort();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn when_all_is_well_nothing_is_written_and_no_object_is_read() {
    let server = Apiserver::installed();
    let replicas = Replica::several(3, &server, &SLOW);
    sleep(Duration::from_secs(20)).await;
    let traffic = || {
        let world = server.lock();
        (world.writes.len(), world.reads)
    };
    let before = traffic();
    let leaves: Vec<_> = replicas.iter().map(Replica::leaf).collect();
    sleep(Duration::from_hours(1)).await;
    assert_eq!(traffic(), before);
    assert_eq!(
        replicas.iter().map(Replica::leaf).collect::<Vec<_>>(),
        leaves
    );
}

#[tokio::test(start_paused = true)]
async fn only_the_bundles_are_applied() {
    let server = Apiserver::installed();
    let _replica = Replica::start(&server, &SLOW);
    sleep(HEALED).await;
    let world = server.lock();
    assert_eq!(world.applies.len(), 2);
    for (query, body) in &world.applies {
        assert!(query.contains("fieldManager=natsguard") && query.contains("force=true"));
        let mut body = body.clone();
        for webhook in body["webhooks"].as_array_mut().unwrap() {
            assert!(webhook["clientConfig"]["caBundle"].as_str().unwrap().len() > 100);
            webhook["clientConfig"]["caBundle"] = json!("");
        }
        let kind = body["kind"].take();
        assert!(
            [
                "MutatingWebhookConfiguration",
                "ValidatingWebhookConfiguration"
            ]
            .contains(&kind.as_str().unwrap())
        );
        let entry = |name: &str| json!({"name": name, "clientConfig": {"caBundle": ""}});
        assert_eq!(
            body,
            json!({
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": null,
                "metadata": {"name": "natsguard"},
                "webhooks": [entry("a.natsguard.dev"), entry("b.natsguard.dev")],
            })
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_bundle_that_someone_empties_or_replaces_is_healed() {
    let server = Apiserver::installed();
    let replicas = Replica::several(3, &server, &SLOW);
    sleep(HEALED).await;
    let right = server.bundles();
    let foreign = crate::certificates::ca::Ca::generate(1_800_000_000, 3600).unwrap();
    let foreign = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        &foreign.certificate.pem,
    );
    for (path, bundle) in configurations().iter().zip(["", &foreign]) {
        let mut world = server.lock();
        let mut object = world.objects[path].clone();
        object["webhooks"][1]["clientConfig"]["caBundle"] = json!(bundle);
        world.put(path, object);
    }
    assert_ne!(server.bundles(), right);
    sleep(HEALED).await;
    assert_eq!(server.bundles(), right);
    for replica in &replicas {
        assert!(replica.is_ready());
    }
    // Reinstalled, as `helm upgrade --force` does.
    for path in configurations() {
        server.install(&path);
    }
    sleep(HEALED).await;
    assert_eq!(server.bundles(), right);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_someone_deletes_or_spoils_is_restored_and_nobody_notices() {
    let server = Apiserver::installed();
    let replicas = Replica::several(5, &server, &SLOW);
    sleep(HEALED).await;
    let (right, data) = (
        server.bundles(),
        server.lock().objects[SECRET]["data"].clone(),
    );
    for harm in 0..6 {
        {
            let mut world = server.lock();
            let mut object = world.objects[SECRET].clone();
            match harm {
                0 => drop(world.objects.remove(SECRET)),
                1 => object["data"]["ca.crt"] = json!("bm9uc2Vuc2U="),
                2 => object["data"]["ca.key"] = json!("bm9uc2Vuc2U="),
                3 => object["data"] = json!({}),
                4 => object["data"] = json!(null),
                _ => object["type"] = json!("kubernetes.io/tls"),
            }
            if harm == 5 {
                object["data"] = json!({"tls.crt": "", "tls.key": ""});
            }
            if harm > 0 {
                world.put(SECRET, object);
            }
        }
        for _ in 0..50 {
            sleep(HEALED / 50).await;
            for replica in &replicas {
                assert!(replica.is_ready());
                replica.is_trusted_by(&server).unwrap();
            }
        }
        let now = server.lock().objects[SECRET].clone();
        for (key, value) in data.as_object().unwrap() {
            assert_eq!(&now["data"][key], value, "harm {harm}");
        }
        assert_eq!(server.bundles(), right);
    }
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_someone_puts_in_place_of_ours_takes_over_without_a_gap() {
    let server = Apiserver::installed();
    let replicas = Replica::several(3, &server, &FAST);
    sleep(HEALED).await;
    let other = Apiserver::installed();
    let stranger = Replica::start(&other, &FAST);
    sleep(HEALED).await;
    stranger.running.abort();
    let foreign = other.lock().objects[SECRET].clone();
    let trusted = other.bundles()[0].clone();
    server.lock().put(SECRET, foreign);
    for _ in 0..120 {
        sleep(Duration::from_millis(100)).await;
        for replica in &replicas {
            replica.is_trusted_by(&server).unwrap();
        }
    }
    for replica in &replicas {
        replica.verify(&trusted).expect("signed by the new CA");
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_on_its_way_out_leaves_the_next_release_alone() {
    let server = Apiserver::installed();
    let replica = Replica::start(&server, &FAST);
    sleep(HEALED).await;
    replica.lifecycle.drain();
    server.lock().objects.remove(SECRET);
    for path in configurations() {
        server.install(&path);
    }
    let (writes, leaf) = (server.lock().writes.clone(), replica.leaf());
    sleep(Duration::from_secs(40)).await;
    assert_eq!(server.lock().writes, writes);
    assert_ne!(replica.leaf(), leaf, "it still renews its own certificate");
}

#[tokio::test(start_paused = true)]
async fn while_the_apiserver_is_away_leaves_are_renewed_from_memory() {
    let server = Apiserver::installed();
    let times = crate::certificates::authority::Times {
        leaf_lifetime: 60,
        ..SLOW
    };
    let replica = Replica::start(&server, &times);
    sleep(HEALED).await;
    let bundle = server.bundles()[0].clone();
    let first = replica.leaf();
    server.lock().away = true;
    for _ in 0..300 {
        sleep(Duration::from_secs(1)).await;
        replica.verify(&bundle).unwrap();
        assert!(replica.is_ready());
    }
    assert_ne!(replica.leaf(), first);
    assert!(
        !replica
            .metrics
            .text()
            .contains("natsguard_certificate_errors_total 0\n")
    );
    server.lock().away = false;
    sleep(HEALED).await;
    replica.is_trusted_by(&server).unwrap();
}

#[tokio::test(start_paused = true)]
async fn ready_only_once_the_apiserver_would_trust_the_server() {
    let server = Apiserver::default();
    let replica = Replica::start(&server, &SLOW);
    sleep(HEALED).await;
    assert_eq!(
        replica.lifecycle.missing(),
        ["the CA bundle is not in the webhook configurations yet"]
    );
    let [mutating, validating] = configurations();
    server.install(&mutating);
    sleep(HEALED).await;
    assert!(!replica.is_ready());
    server.install(&validating);
    sleep(HEALED).await;
    assert!(replica.is_ready());
    let text = replica.metrics.text();
    for line in [
        r#"natsguard_ca_bundle_in_place{configuration="mutating/natsguard"} 1"#,
        r#"natsguard_ca_bundle_in_place{configuration="validating/natsguard"} 1"#,
        r#"natsguard_certificate_expiry_timestamp_seconds{certificate="ca"} "#,
        r#"natsguard_certificate_expiry_timestamp_seconds{certificate="serving"} "#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}
