//! Rotations, one after the other, under the eyes of callers that learn of a bundle late.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::sleep;

use super::apiserver::{Apiserver, SECRET};
use super::bed::{FAST, Replica};

/// How far behind a caller may be.
const LAG: usize = 30;
const STEP: Duration = Duration::from_millis(100);

struct Callers {
    bundles: VecDeque<Vec<String>>,
    /// All CAs there ever were.
    seen: BTreeSet<String>,
}

impl Callers {
    fn new() -> Self {
        Self {
            bundles: VecDeque::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Looks at the bundles of now, and verifies with those of now and with those of a while ago.
    fn look(&mut self, server: &Apiserver, replicas: &[Replica]) {
        let bundles = server.bundles();
        let cas = bundles[0].split_inclusive("-----END CERTIFICATE-----\n");
        self.seen.extend(cas.map(str::to_owned));
        self.bundles.push_back(bundles);
        if self.bundles.len() > LAG {
            self.bundles.pop_front();
        }
        for bundles in [self.bundles.front(), self.bundles.back()] {
            for bundle in bundles.unwrap() {
                assert!(bundle.matches("BEGIN").count() <= 5);
                for replica in replicas {
                    replica.verify(bundle).unwrap();
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rotations_go_unnoticed() {
    let server = Apiserver::installed();
    let mut replicas = Replica::several(3, &server, &FAST);
    sleep(Duration::from_secs(5)).await;
    let mut callers = Callers::new();
    for tenth in 0..3000 {
        sleep(STEP).await;
        callers.look(&server, &replicas);
        // One restarts now and then, in whatever phase the rotation is.
        if tenth % 170 == 169 {
            replicas.remove(0).running.abort();
            let fresh = Replica::start(&server, &FAST);
            sleep(Duration::from_secs(1)).await;
            replicas.push(fresh);
        }
    }
    // 317 s, and a new CA every 20 s and a look or two.
    assert!(callers.seen.len() >= 12, "{}", callers.seen.len());
    assert!(replicas.iter().all(Replica::is_ready));
}

#[tokio::test(start_paused = true)]
async fn rotations_go_unnoticed_although_someone_harms_the_secret() {
    let server = Apiserver::installed();
    let replicas = Replica::several(5, &server, &FAST);
    sleep(Duration::from_secs(5)).await;
    let mut callers = Callers::new();
    for tenth in 0..1500 {
        sleep(STEP).await;
        callers.look(&server, &replicas);
        if tenth % 37 == 36 {
            let mut world = server.lock();
            if let Some(mut object) = world.objects.remove(SECRET)
                && world.random().is_multiple_of(2)
            {
                object["data"]["ca.key"] = serde_json::json!("");
                world.put(SECRET, object);
            }
        }
    }
    assert!(callers.seen.len() >= 6, "{}", callers.seen.len());
}
