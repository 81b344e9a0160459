//! Kinds beside those of `apps`: what runs pods under another group, and the part of a StatefulSet that says how many.

use serde_json::{Value, json};

use crate::cel::{Evaluator, Step, VERSIONS};

const STEPS: [Step; 2] = [Step::Mutate, Step::Validate];

fn workload(image: &str) -> Value {
    let pods = json!({"spec": {"containers": [{"name": "main", "image": image}]}});
    json!({"metadata": {"name": "x"}, "spec": {"template": pods}})
}

fn cron_job(image: &str) -> Value {
    json!({"metadata": {"name": "x"}, "spec": {"jobTemplate": workload(image)}})
}

#[test]
fn servers_of_other_groups_are_sent_and_what_runs_beside_them_is_not() {
    type Make = fn(&str) -> Value;
    const KINDS: [(&str, Make); 3] = [
        ("cronjobs", cron_job),
        ("deploymentconfigs", workload),
        ("rollouts", workload),
    ];
    for version in VERSIONS {
        let mut evaluator = Evaluator::start(version);
        for (resource, object) in KINDS {
            let server = object("docker.io/library/nats:2.14.5");
            let other = object("busybox");
            for step in STEPS {
                let mut sends = |new, old| evaluator.sends(step, resource, new, old);
                assert!(sends(&server, None), "{resource}");
                assert!(sends(&server, Some(&other)), "{resource}");
                assert!(!sends(&server, Some(&server)), "{resource}");
                assert!(!sends(&other, None), "{resource}");
                assert!(!sends(&json!({"metadata": {}}), None), "{resource}");
            }
        }
    }
}

#[test]
fn a_scale_is_sent_where_pods_are_added() {
    let scale =
        |replicas: Value| json!({"metadata": {"name": "x"}, "spec": {"replicas": replicas}});
    for version in VERSIONS {
        let mut evaluator = Evaluator::start(version);
        let mut sent = |old: Value, new: Value| {
            let (old, new) = (scale(old), scale(new));
            evaluator.sends(Step::Validate, "statefulsets/scale", &new, Some(&old))
        };
        assert!(sent(json!(1), json!(3)));
        assert!(sent(json!(0), json!(1)));
        assert!(sent(Value::Null, json!(1)));
        for (old, new) in [(3, 3), (3, 1), (3, 0), (0, 0)] {
            assert!(!sent(json!(old), json!(new)), "{old} to {new}");
        }
    }
}
