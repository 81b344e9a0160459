use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Mutex;

use http::Response;
use serde_json::json;
use tower::service_fn;

use super::*;
use crate::facts::resource::{CLASSES, CONFIG_MAPS, NODES, SERVICES, STATEFUL_SETS};

/// An apiserver that knows these paths. Everything else is forbidden.
#[derive(Clone, Default)]
struct Server {
    paths: BTreeMap<String, (u16, String)>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn with(mut self, path: &str, status: u16, body: &impl ToString) -> Self {
        self.paths
            .insert(path.to_owned(), (status, body.to_string()));
        self
    }

    fn kube(&self) -> Kube {
        let server = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let path = request.uri().to_string();
            let (status, body) = server.paths.get(&path).cloned().unwrap_or((
                403,
                json!({"kind": "Status", "reason": "Forbidden"}).to_string(),
            ));
            server.asked.lock().unwrap().push(path);
            let response = Response::builder()
                .status(status)
                .body(Body::from(body.into_bytes()));
            async move { Ok::<_, Infallible>(response.unwrap()) }
        });
        Kube::new(Client::new(service, "default"))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

const MAP: &str = "/api/v1/namespaces/messaging/configmaps/nats";
const SETS: &str = "/apis/apps/v1/namespaces/messaging/statefulsets?limit=250";

fn map() -> Query {
    Query::named(&CONFIG_MAPS, "messaging", "nats")
}

#[tokio::test]
async fn an_object_comes_without_what_no_rule_reads() {
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "status": {"a": 1},
        "metadata": {"name": "nats", "namespace": "messaging", "managedFields": [{}]}, "data": {"k": "v"}
    });
    let server = Server::default().with(MAP, 200, &object);
    let expected = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "nats", "namespace": "messaging"}, "data": {"k": "v"}
    });
    let known = server.kube().ask(&map()).await;
    assert_eq!(known, Known::Objects(Arc::new(vec![expected])));
}

#[tokio::test]
async fn only_a_404_about_the_object_says_that_it_is_not_there() {
    let gone = json!({"kind": "Status", "reason": "NotFound", "details": {"name": "nats", "kind": "configmaps"}});
    let answer = |status, body: String| async move {
        Server::default()
            .with(MAP, status, &body)
            .kube()
            .ask(&map())
            .await
    };
    assert_eq!(answer(404, gone.to_string()).await, Known::Absent);
    assert_eq!(
        answer(404, "404 page not found".to_owned()).await,
        Known::Unknown
    );
    assert_eq!(
        answer(404, json!({"reason": "NotFound"}).to_string()).await,
        Known::Unknown
    );
    for status in [401, 403, 429, 500, 503] {
        assert_eq!(
            answer(status, gone.to_string()).await,
            Known::Unknown,
            "{status}"
        );
    }
    assert_eq!(answer(200, "no JSON".to_owned()).await, Known::Unknown);
    assert_eq!(answer(200, "[]".to_owned()).await, Known::Unknown);
    // What is too large is so the next time, too.
    assert_eq!(answer(200, "x".repeat(MAX_BYTES + 1)).await, Known::TooMuch);
}

#[tokio::test]
async fn a_list_is_read_page_by_page_and_its_items_know_what_they_are() {
    let page = |name: &str, next: Value| json!({"kind": "StatefulSetList", "metadata": {"continue": next}, "items": [{"metadata": {"name": name}, "status": {}}]});
    let server = Server::default()
        .with(SETS, 200, &page("a", json!("Mq-_")))
        .with(&format!("{SETS}&continue=Mq-_"), 200, &page("b", json!("")));
    let item = |name: &str| json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}});
    let query = Query::all(&STATEFUL_SETS, "messaging");
    let known = server.kube().ask(&query).await;
    assert_eq!(known, Known::Objects(Arc::new(vec![item("a"), item("b")])));
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn half_a_list_is_none() {
    let query = Query::all(&STATEFUL_SETS, "messaging");
    let endless = json!({"metadata": {"continue": "again"}, "items": []});
    let again = format!("{SETS}&continue=again");
    let server = Server::default()
        .with(SETS, 200, &endless)
        .with(&again, 200, &endless);
    assert_eq!(server.kube().ask(&query).await, Known::TooMuch);
    assert_eq!(server.asked().len(), MAX_PAGES);
    let broken = Server::default().with(SETS, 200, &endless);
    assert_eq!(broken.kube().ask(&query).await, Known::Unknown);
    let odd = json!({"metadata": {"continue": "a&watch=1"}, "items": null});
    let odd = Server::default().with(SETS, 200, &odd);
    assert_eq!(odd.kube().ask(&query).await, Known::Unknown);
    let large = format!(
        r#"{{"metadata":{{"continue":"again"}},"items":[],"pad":"{}"}}"#,
        "x".repeat(MAX_BYTES / 2)
    );
    let large = Server::default()
        .with(SETS, 200, &large)
        .with(&again, 200, &large);
    assert_eq!(large.kube().ask(&query).await, Known::TooMuch);
}

#[tokio::test]
async fn what_would_take_too_much_memory_is_not_parsed() {
    let dense = |count: usize| json!({"metadata": {"name": "nats"}, "data": vec![json!({"name": "a"}); count]});
    let server = Server::default().with(MAP, 200, &dense(10_000));
    assert_eq!(server.kube().ask(&map()).await, Known::TooMuch);
    let query = Query::all(&STATEFUL_SETS, "messaging");
    for (items, expected) in [(8, false), (12, true)] {
        let list = json!({"items": vec![dense(4000); items]});
        let server = Server::default().with(SETS, 200, &list);
        let is_too_much = server.kube().ask(&query).await == Known::TooMuch;
        assert_eq!(is_too_much, expected, "{items}");
    }
}

#[tokio::test]
async fn volumes_are_kept_that_a_claim_of_the_namespace_may_have() {
    let volume = |name: &str, namespace: &str| json!({"metadata": {"name": name}, "spec": {"claimRef": {"namespace": namespace, "name": "data"}}});
    let list = json!({"items": [volume("a", "messaging"), volume("b", "other"), {"metadata": {"name": "c"}, "spec": {}}]});
    let server = Server::default().with("/api/v1/persistentvolumes?limit=250", 200, &list);
    let Known::Objects(found) = server.kube().ask(&Query::all(&VOLUMES, "messaging")).await else {
        panic!("nothing was found")
    };
    let names: Vec<&Value> = found
        .iter()
        .map(|found| &found["metadata"]["name"])
        .collect();
    assert_eq!(names, ["a", "c"]);
}

#[tokio::test]
async fn a_name_that_cannot_exist_is_not_there_and_leads_nowhere_else() {
    let server = Server::default();
    let kube = server.kube();
    for name in [
        "",
        "..",
        "../secrets/x",
        "a/b",
        "a?b",
        "a%2fb",
        "A",
        "-a",
        "a.",
        &"a".repeat(254),
    ] {
        let known = kube
            .ask(&Query::named(&CONFIG_MAPS, "messaging", name))
            .await;
        assert_eq!(known, Known::Absent, "{name}");
        let known = kube.ask(&Query::all(&SERVICES, name)).await;
        assert_eq!(known, Known::Unknown, "{name}");
    }
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn what_hardly_changes_is_asked_once_and_what_decides_each_time() {
    let class = json!({"metadata": {"name": "fast"}, "provisioner": "x"});
    let server = Server::default()
        .with("/apis/storage.k8s.io/v1/storageclasses/fast", 200, &class)
        .with("/api/v1/nodes?limit=250", 200, &json!({"items": []}))
        .with(MAP, 200, &json!({"metadata": {"name": "nats"}}));
    let kube = server.kube();
    for _ in 0..3 {
        kube.ask(&Query::named(&CLASSES, "messaging", "fast")).await;
        kube.ask(&Query::all(&NODES, "")).await;
        kube.ask(&map()).await;
    }
    assert_eq!(server.asked().len(), 2 + 3);
}
