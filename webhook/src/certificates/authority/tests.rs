//! Every way a Secret can be found, and what becomes of it.

use super::*;

const NOW: Seconds = 1_800_000_000;
const TIMES: Times = Times {
    ca_lifetime: 900,
    rotate_after: 600,
    settle: 60,
    leaf_lifetime: 300,
};

fn ca_at(now: Seconds) -> Ca {
    Ca::generate(now, TIMES.ca_lifetime).unwrap()
}

fn authority() -> Authority {
    Authority {
        current: ca_at(NOW),
        next: None,
        old: Vec::new(),
    }
}

fn planned(found: Option<&Data>, memory: Option<&Authority>, settled: bool, now: Seconds) -> Plan {
    plan(found, memory, settled, now, &TIMES, || {
        Ca::generate(now, TIMES.ca_lifetime)
    })
    .unwrap()
}

fn stored(plan: Plan) -> (Authority, &'static str) {
    match plan {
        Plan::Store(authority, reason) => (authority, reason),
        Plan::Keep(_) => panic!("kept"),
    }
}

#[test]
fn without_a_secret_there_is_a_new_ca() {
    let (authority, reason) = stored(planned(None, None, false, NOW));
    assert_eq!(reason, "there was no CA yet");
    assert_eq!(authority.current.certificate.created, NOW);
    assert_eq!(Authority::read(&authority.data()).unwrap(), authority);
}

#[test]
fn a_secret_that_is_right_is_kept() {
    let authority = authority();
    let data = authority.data();
    for memory in [None, Some(&authority)] {
        assert_eq!(
            planned(Some(&data), memory, true, NOW + 599),
            Plan::Keep(authority.clone())
        );
    }
}

#[test]
fn a_ca_with_a_short_life_gets_its_successor_in_time() {
    let short = Authority {
        current: Ca::generate(NOW, 90).unwrap(),
        ..authority()
    };
    let data = short.data();
    assert_eq!(
        planned(Some(&data), None, true, NOW + 59),
        Plan::Keep(short)
    );
    let (rotated, reason) = stored(planned(Some(&data), None, true, NOW + 60));
    assert_eq!(reason, "the next CA is published");
    assert!(rotated.next.is_some());
}

#[test]
fn foreign_keys_in_the_secret_are_nobodys_business() {
    let mut data = authority().data();
    data.insert("note".to_owned(), b"mine".to_vec());
    assert!(matches!(
        planned(Some(&data), None, false, NOW),
        Plan::Keep(_)
    ));
}

#[test]
fn a_deleted_or_spoilt_secret_is_restored_from_memory() {
    let authority = authority();
    let (restored, reason) = stored(planned(None, Some(&authority), true, NOW));
    assert_eq!(reason, "the Secret was deleted; it is restored");
    assert_eq!(restored, authority);
    let mut data = authority.data();
    data.insert("ca.key".to_owned(), b"\xffnonsense".to_vec());
    let (restored, reason) = stored(planned(Some(&data), Some(&authority), true, NOW));
    assert_eq!(reason, "the Secret was spoilt; it is restored");
    assert_eq!(restored, authority);
}

#[test]
fn a_spoilt_secret_that_nobody_remembers_is_made_anew() {
    let data = Data::from([("ca.crt".to_owned(), b"nonsense".to_vec())]);
    let (_, reason) = stored(planned(Some(&data), None, false, NOW));
    assert_eq!(reason, "the Secret was spoilt; there is a new CA");
}

#[test]
fn a_replaced_ca_leaves_the_former_trusted() {
    let (ours, theirs) = (authority(), authority());
    let (merged, reason) = stored(planned(Some(&theirs.data()), Some(&ours), true, NOW));
    assert_eq!(reason, "the CA was replaced; the former stays trusted");
    assert_eq!(merged.current, theirs.current);
    assert_eq!(merged.old, [ours.current.certificate]);
}

#[test]
fn a_ca_replaced_amid_a_rotation_leaves_all_trusted_that_sign_or_signed() {
    let mut ours = authority();
    ours.old.push(ca_at(NOW - 1).certificate);
    ours.next = Some(ca_at(NOW + 1));
    let theirs = authority();
    let (merged, _) = stored(planned(Some(&theirs.data()), Some(&ours), true, NOW + 2));
    assert_eq!(merged.current, theirs.current);
    for trusted in ours.trusted() {
        assert!(merged.trusted().contains(&trusted), "{trusted:?}");
    }
    let data = merged.data();
    assert!(matches!(
        planned(Some(&data), Some(&ours), true, NOW + 2),
        Plan::Keep(_)
    ));
}

#[test]
fn former_cas_are_bounded_and_what_signed_last_stays() {
    let mut ours = authority();
    for turn in 1..=20 {
        let theirs = Authority {
            current: ca_at(NOW + turn),
            next: None,
            old: ours.old.clone(),
        };
        let former = ours.current.certificate.clone();
        (ours, _) = stored(planned(Some(&theirs.data()), Some(&ours), true, NOW + turn));
        assert_eq!(ours.current, theirs.current);
        assert_eq!(ours.old.last(), Some(&former));
        assert!(ours.old.len() <= 8, "{}", ours.old.len());
    }
    let data = ours.data();
    assert!(matches!(
        planned(Some(&data), Some(&ours), true, NOW + 20),
        Plan::Keep(_)
    ));
    let mut crowded = ours.clone();
    crowded.old.insert(0, ca_at(NOW).certificate);
    let (left, reason) = stored(planned(Some(&crowded.data()), Some(&ours), true, NOW + 20));
    assert_eq!(reason, "the oldest of too many former CAs are left out");
    assert_eq!(left.old, ours.old);
}

#[test]
fn a_rotation_publishes_waits_and_then_signs() {
    let first = authority();
    let at = NOW + 600;
    let (published, reason) = stored(planned(Some(&first.data()), Some(&first), true, at));
    assert_eq!(reason, "the next CA is published");
    assert_eq!(published.current, first.current);
    let next = published.next.clone().unwrap();
    let data = published.data();

    let keep = Plan::Keep(published.clone());
    let memory = Some(&published);
    assert_eq!(planned(Some(&data), memory, true, at + 59), keep);
    assert_eq!(planned(Some(&data), memory, false, at + 60), keep);
    assert_eq!(planned(Some(&data), Some(&first), true, at + 60), keep);

    let (turned, reason) = stored(planned(Some(&data), memory, true, at + 60));
    assert_eq!(reason, "the next CA signs from now on");
    assert_eq!(turned.current, next);
    assert_eq!(turned.old, [first.current.certificate]);
    assert_eq!(turned.bundle(), published.bundle());

    let (ended, reason) = stored(planned(
        Some(&turned.data()),
        Some(&turned),
        true,
        NOW + 900,
    ));
    assert_eq!(reason, "what expired is left out");
    assert_eq!(ended.bundle(), next.certificate.pem);
}

#[test]
fn an_expired_ca_is_replaced_at_once() {
    let first = authority();
    let (authority, reason) = stored(planned(Some(&first.data()), Some(&first), false, NOW + 900));
    assert_eq!(reason, "the CA expired; there is a new one");
    assert_eq!(authority.current.certificate.created, NOW + 900);
    assert!(authority.old.is_empty());
}

#[test]
fn a_broken_successor_costs_nothing_but_itself() {
    let mut authority = authority();
    authority.next = Some(ca_at(NOW + 600));
    let mut data = authority.data();
    data.insert("next.key".to_owned(), Vec::new());
    let (mended, _) = stored(planned(Some(&data), None, true, NOW + 700));
    assert_eq!(mended.current, authority.current);
    assert_eq!(mended.next.unwrap().certificate.created, NOW + 700);
}

#[test]
fn a_jump_of_the_clock_is_survived() {
    let first = authority();
    let data = first.data();
    assert!(matches!(
        planned(Some(&data), Some(&first), true, NOW - 86_400),
        Plan::Keep(_)
    ));
    let (later, _) = stored(planned(Some(&data), Some(&first), true, NOW + 400 * 86_400));
    assert!(later.current.certificate.expires > NOW + 400 * 86_400);
}

#[test]
fn a_bundle_falls_into_its_pieces() {
    let (one, other) = (ca_at(NOW), ca_at(NOW + 1));
    let bundle = format!(
        "{}\r\n# note\n{}",
        one.certificate.pem, other.certificate.pem
    );
    let found: Vec<Trusted> = pieces(&bundle)
        .filter_map(|pem| Trusted::read(&pem).ok())
        .collect();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0], one.certificate);
}
