//! Repair of a part: only the edits that may be made are.

use natsguard_policies::engine::{evaluate, repair, repair_where};
use natsguard_policies::policy::Action;

use crate::support::{Cluster, settings};

fn cluster() -> Cluster {
    Cluster {
        service: "{clusterIP: None, selector: {app: nats}}".to_owned(),
        ..Cluster::with_routes(&["nats://nats-headless:6222"])
    }
}

#[test]
fn only_what_may_be_edited_is_repaired_and_the_rest_still_stands() {
    let (bundle, settings) = (cluster().bundle(), settings());
    for kind in ["ConfigMap", "Service"] {
        let is_of = |id: usize| bundle.object(id).unwrap().kind() == kind;
        let repaired = repair_where(&bundle, &settings, &|_, edit| is_of(edit.target().0));
        for (id, (before, after)) in bundle
            .objects()
            .iter()
            .zip(repaired.bundle.objects())
            .enumerate()
        {
            assert_eq!(before == after, !is_of(id), "{kind}: object {id}");
        }
        let mended: Vec<_> = repaired
            .mended
            .iter()
            .map(|judged| is_of(judged.finding.place.object))
            .collect();
        assert_eq!(mended, [true], "{kind}");
        assert_eq!(repaired.report.count(Action::Fix), 1, "{kind}");
    }
}

#[test]
fn nothing_that_may_be_edited_is_no_repair() {
    let (bundle, settings) = (cluster().bundle(), settings());
    let repaired = repair_where(&bundle, &settings, &|_, _| false);
    assert_eq!(repaired.bundle.objects(), bundle.objects());
    assert!(repaired.mended.is_empty() && repaired.beside.is_empty());
    assert_eq!(repaired.report, evaluate(&bundle, &settings));
}

#[test]
fn a_whole_repair_says_what_it_mended() {
    let (bundle, settings) = (cluster().bundle(), settings());
    let repaired = repair(&bundle, &settings);
    let mended: Vec<_> = repaired
        .mended
        .iter()
        .map(|judged| judged.finding.policy)
        .collect();
    assert_eq!(mended, ["service-route", "unresolvable-peers"]);
}
