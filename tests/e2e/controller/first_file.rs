//! A file that comes before its workload, as every manifest has it: it is right before the servers read it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use natsguard_tests::bed::nats::{LABELS, full_names};
use natsguard_tests::bed::say;
use natsguard_tests::bed::space::Space;

use super::{START, create, faulty, idle, lives, named_routes, routes, routes_of};

/// From the StatefulSet to the corrected file, 99 of a hundred times.
const AIM: Duration = Duration::from_millis(250);

/// The ConfigMap and the Service, and two seconds later the StatefulSet: the servers form one cluster.
pub async fn mesh(space: &Space) -> Result<()> {
    let objects = faulty(&space.name).objects()?;
    space.apply(&objects[..2]).await?;
    assert_eq!(routes(space, "nats-config").await?, ["nats://nats:6222"]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    space.apply(&objects[2..]).await?;
    let start = Instant::now();
    space.wait_meshed(3, START).await?;
    assert_eq!(
        routes(space, "nats-config").await?,
        full_names(&space.name, 3)
    );
    say(&format!(
        "first file: one cluster {:.1} s after its StatefulSet",
        start.elapsed().as_secs_f64()
    ));
    // Nothing more comes after it.
    let before = lives(space, LABELS).await?;
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(lives(space, LABELS).await?, before);
    Ok(())
}

/// How long the wrong file stays.
pub async fn time(space: &Space) -> Result<()> {
    let count = if space.options.full { 200 } else { 20 };
    let maps = space.api::<ConfigMap>();
    let mut times = Vec::new();
    for number in 0..count {
        let name = format!("n{number}");
        let objects = idle(&space.name, &name)?;
        create(space, &objects[..2]).await?;
        create(space, &objects[2..]).await?;
        let start = Instant::now();
        let wanted = named_routes(&space.name, &name, 3);
        while routes_of(&maps.get(&name).await?) != wanted {
            ensure!(
                start.elapsed() < Duration::from_secs(20),
                "{name} is not repaired"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        times.push(start.elapsed());
        // A namespace has a few of them, not hundreds; and below the bound on writes a second.
        for line in ["statefulset", "service", "configmap"] {
            let line = format!("delete {line} {name} --wait=false");
            space.kubectl(&line, None).await?.ok()?;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
        space.stop.check()?;
    }
    times.sort();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    say(&format!(
        "first file: from the StatefulSet's creation to the corrected file {:.0} ms in the middle, p99 {:.0} ms of {count}",
        at(50).as_secs_f64() * 1000.0,
        at(99).as_secs_f64() * 1000.0
    ));
    let limit = if space.options.full { AIM } else { AIM * 8 };
    ensure!(at(99) < limit, "p99 is {:?}", at(99));
    Ok(())
}
