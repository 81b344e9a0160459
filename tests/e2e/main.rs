//! The end-to-end tests: real pods on a real cluster. `cargo e2e -- --help` says what can be asked.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test that can't go on has failed, and says so"
)]

mod controller;
mod guard;
mod lifecycle;
mod node_failure;
mod partition;
mod placement;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Parser;
use libtest_mimic::{Arguments, Failed, Trial};
use natsguard_tests::bed::{Bed, Needs, Options, Test, say};
use natsguard_tests::cluster::machine::Footprint;

#[derive(Debug, Parser)]
struct Args {
    /// Run what takes long in full: longer observations, ten cycles of a cluster.
    #[arg(long)]
    full: bool,
    /// Leave the cluster, and the namespaces of failed tests, for a look. `cargo cluster down` removes them.
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    harness: Arguments,
}

/// The tests that run on a cluster.
const TESTS: &[(&str, Needs, Test)] = &[
    (
        "partition::a_route_to_a_cluster_ip_service_leads_nowhere",
        Needs::ANY,
        |space| Box::pin(partition::service_route(space)),
    ),
    (
        "partition::names_that_wait_for_readiness_never_resolve",
        Needs::ANY,
        |space| Box::pin(partition::hidden_names(space)),
    ),
    (
        "partition::a_name_for_each_pod_at_once_makes_a_cluster",
        Needs::ANY,
        |space| Box::pin(partition::published_names(space)),
    ),
    (
        "placement::required_anti_affinity_keeps_pods_on_different_nodes",
        Needs::ANY,
        |space| Box::pin(placement::apart(space)),
    ),
    (
        "placement::without_it_pods_share_a_node",
        Needs::ANY,
        |space| Box::pin(placement::together(space)),
    ),
    (
        "tools::helm_installs_and_removes_a_release",
        Needs::ANY,
        |space| Box::pin(tools::helm(space)),
    ),
    (
        "tools::the_projects_image_runs_on_every_node",
        Needs::LOCAL,
        |space| Box::pin(tools::image(space)),
    ),
    (
        "tools::what_is_paused_hangs_and_goes_on",
        Needs::ALONE,
        |space| Box::pin(tools::pause(space)),
    ),
    (
        "node_failure::a_stream_outlives_a_node",
        Needs::ALONE,
        |space| Box::pin(node_failure::stream(space)),
    ),
    (
        "guard::faults::a_cluster_ip_service_is_refused_with_the_remedy",
        Needs::GUARD,
        |space| Box::pin(guard::faults::cluster_ip(space)),
    ),
    (
        "guard::faults::hidden_names_are_repaired",
        Needs::GUARD,
        |space| Box::pin(guard::faults::hidden_names(space)),
    ),
    (
        "guard::faults::a_service_route_is_repaired",
        Needs::GUARD,
        |space| Box::pin(guard::faults::service_route(space)),
    ),
    (
        "guard::faults::replicas_are_put_on_different_nodes",
        Needs::GUARD,
        |space| Box::pin(guard::faults::together(space)),
    ),
    (
        "guard::faults::a_store_on_nfs_is_refused",
        Needs::GUARD,
        |space| Box::pin(guard::faults::nfs(space)),
    ),
    (
        "guard::hidden::a_store_on_nfs_is_refused_wherever_it_hides",
        Needs::GUARD,
        |space| Box::pin(guard::hidden::stores(space)),
    ),
    (
        "guard::hidden::what_comes_after_its_workload_is_refused",
        Needs::GUARD,
        |space| Box::pin(guard::hidden::late(space)),
    ),
    ("guard::hidden::growth_is_judged", Needs::GUARD, |space| {
        Box::pin(guard::hidden::scaling(space))
    }),
    (
        "guard::hidden::upgrades_of_charts_pass",
        Needs::GUARD,
        |space| Box::pin(guard::hidden::upgrades(space)),
    ),
    (
        "guard::hidden::three_teams_apply_in_one_file_each",
        Needs::GUARD,
        |space| Box::pin(guard::hidden::teams(space)),
    ),
    (
        "guard::manifests::charts_install_as_without_it",
        Needs::GUARD_ALONE,
        |space| Box::pin(guard::manifests::charts(space)),
    ),
    (
        "guard::updates::faulty_objects_can_be_used_and_removed",
        Needs::GUARD_ALONE,
        |space| Box::pin(guard::updates::faulty_before(space)),
    ),
    (
        "guard::cost::strangers_cost_no_call",
        Needs::GUARD_ALONE,
        |space| Box::pin(guard::cost::strangers(space)),
    ),
    (
        "guard::cost::memory_does_not_follow_the_cluster",
        Needs::GUARD_ALONE,
        |space| Box::pin(guard::cost::memory(space)),
    ),
    (
        "guard::conduct::no_review_fails_in_a_rolling_update",
        Needs::GUARD_ALONE,
        |space| Box::pin(guard::conduct::rolling_update(space)),
    ),
    (
        "guard::conduct::no_review_fails_while_it_is_scaled",
        Needs::GUARD_ALONE,
        |space| Box::pin(guard::conduct::scaling(space)),
    ),
    (
        "guard::conduct::no_review_fails_when_a_pod_is_deleted",
        Needs::GUARD_ALONE,
        |space| Box::pin(guard::conduct::deleted_pod(space)),
    ),
    (
        "guard::conduct::a_crash_costs_what_was_on_its_way",
        Needs::GUARD_ALONE,
        |space| Box::pin(guard::conduct::killed_pod(space)),
    ),
    (
        "guard::conduct::idle_connections_answer",
        Needs::GUARD_ALONE,
        |space| Box::pin(guard::conduct::idle(space)),
    ),
    (
        "guard::absence::only_nats_objects_notice_and_it_recovers",
        Needs::GUARD_ALONE,
        |space| Box::pin(guard::absence::all_dead(space)),
    ),
    (
        "guard::certificates::rotation_fails_no_review",
        Needs::GUARD_ALONE,
        |space| Box::pin(guard::certificates::rotation(space)),
    ),
    (
        "guard::certificates::a_broken_bundle_is_healed",
        Needs::GUARD_ALONE,
        |space| Box::pin(guard::certificates::broken_bundle(space)),
    ),
    (
        "guard::certificates::five_replicas_agree_on_one_authority",
        Needs::GUARD_ALONE,
        |space| Box::pin(guard::certificates::one_authority(space)),
    ),
    (
        "guard::own_secret::another_ca_takes_over",
        Needs::GUARD_ALONE,
        |space| Box::pin(guard::own_secret::replaced(space)),
    ),
    (
        "guard::release::an_upgrade_with_the_same_values_changes_nothing",
        Needs::GUARD_ALONE,
        |space| Box::pin(guard::release::upgrade(space)),
    ),
    (
        "guard::release::secrets_are_turned_on_and_off",
        Needs::GUARD_ALONE,
        |space| Box::pin(guard::release::secrets_on_and_off(space)),
    ),
    (
        "guard::release::the_doctor_finds_nothing_wrong",
        Needs::GUARD,
        |space| Box::pin(guard::release::doctor(space)),
    ),
    (
        "guard::release::an_uninstall_fails_no_write_and_leaves_nothing",
        Needs::GUARD_ALONE,
        |space| Box::pin(guard::release::uninstall(space)),
    ),
    (
        "guard::release::helm_3_installs_upgrades_tests_and_removes",
        Needs::GUARD_ALONE,
        |space| Box::pin(guard::release::helm_3(space)),
    ),
    (
        "guard::hostile::what_is_wrong_in_itself_is_answered",
        Needs::GUARD,
        |space| Box::pin(guard::hostile::answers(space)),
    ),
    (
        "guard::hostile::a_crowd_does_not_stop_reviews",
        Needs::GUARD_ALONE,
        |space| Box::pin(guard::hostile::crowd(space)),
    ),
    (
        "controller::first_file::a_file_before_its_workload_is_right_in_time",
        Needs::GUARD,
        |space| Box::pin(controller::first_file::mesh(space)),
    ),
    (
        "controller::orders::whichever_comes_last_it_is_one_cluster",
        Needs::GUARD,
        |space| Box::pin(controller::orders::all(space)),
    ),
    (
        "controller::first_file::a_wrong_file_stays_for_milliseconds",
        Needs::GUARD_ALONE,
        |space| Box::pin(controller::first_file::time(space)),
    ),
    (
        "controller::scale::routes_follow_a_person",
        Needs::GUARD,
        |space| Box::pin(controller::scale::by_hand(space)),
    ),
    (
        "controller::scale::routes_follow_an_autoscaler",
        Needs::GUARD,
        |space| Box::pin(controller::scale::by_autoscaler(space)),
    ),
    (
        "controller::ownership::helm_4_upgrades_as_if_nothing_had_happened",
        Needs::GUARD,
        |space| Box::pin(controller::ownership::server_side(space)),
    ),
    (
        "controller::ownership::helm_3_patches_as_if_nothing_had_happened",
        Needs::GUARD,
        |space| Box::pin(controller::ownership::patches(space)),
    ),
    (
        "controller::existing::an_install_reports_and_changes_nothing",
        Needs::GUARD_ALONE,
        |space| Box::pin(controller::existing::install(space)),
    ),
    (
        "controller::leader::another_takes_over_and_nothing_is_done_twice",
        Needs::GUARD_ALONE,
        |space| Box::pin(controller::leader::lost(space)),
    ),
    (
        "controller::leader::it_goes_on_when_the_apiserver_is_back",
        Needs::GUARD_ALONE,
        |space| Box::pin(controller::leader::apiserver_restarted(space)),
    ),
    (
        "controller::fight::an_owner_that_insists_is_left_alone",
        Needs::GUARD_ALONE,
        |space| Box::pin(controller::fight::owner(space)),
    ),
    (
        "controller::fight::an_owner_that_admission_repairs_is_told_of",
        Needs::GUARD,
        |space| Box::pin(controller::fight::against_admission(space)),
    ),
    (
        "controller::large::thousands_of_workloads_fit",
        Needs::GUARD_ALONE,
        |space| Box::pin(controller::large::cluster(space)),
    ),
    (
        "controller::rights::what_is_granted_is_used",
        Needs::GUARD_ALONE,
        |space| Box::pin(controller::rights::used(space)),
    ),
];

fn main() -> ExitCode {
    let args = Args::parse();
    let options = Options {
        full: args.full,
        keep: args.keep,
        logs: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("e2e"),
    };
    match run(&args.harness, options) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("cargo e2e: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(harness: &Arguments, options: Options) -> anyhow::Result<ExitCode> {
    let bed = Arc::new(Bed::new(options)?);
    if let Some(path) = bed.foreign() {
        say(&format!(
            "KUBECONFIG is {}: what is marked [local] or [machine] needs the cluster on this machine, and is ignored",
            path.display()
        ));
    } else if bed.is_named() {
        say(
            "KUBECONFIG names the cluster on this machine: what is marked [machine] needs to start its own, and is ignored",
        );
    }
    // A failed test is reported with its message; where in the harness it came from tells nobody anything.
    std::panic::set_hook(Box::new(|info| say(&info.to_string())));
    end_on_signal(Arc::clone(&bed));
    if !bed.is_named() && !harness.list {
        Bed::clear()?;
    }
    let before = Footprint::now()?;
    let mut trials = vec![];
    for (name, test) in lifecycle::TESTS {
        let bed_here = Arc::clone(&bed);
        let full = bed.options().full;
        let trial = Trial::test(*name, move || {
            bed_here
                .run_without_cluster(|stop| test(stop, full))
                .map_err(|error| Failed::from(format!("{error:#}")))
        });
        // A cluster that somebody uses is not ended to test whether clusters end.
        trials.push(trial.with_ignored_flag(bed.is_named()).with_kind("machine"));
    }
    // Those that can run beside each other do, and natsguard is installed once.
    let mut tests = TESTS.to_vec();
    tests.sort_by_key(|(_, needs, _)| (needs.guard, needs.alone));
    for (name, needs, test) in tests {
        let bed_here = Arc::clone(&bed);
        let local = needs.local;
        let trial = Trial::test(name, move || {
            bed_here
                .run(name, needs, test)
                .map_err(|error| Failed::from(format!("{error:#}")))
        });
        trials.push(
            trial
                .with_kind(if local { "local" } else { "" })
                .with_ignored_flag(local && bed.foreign().is_some()),
        );
    }
    let conclusion = libtest_mimic::run(harness, trials);
    bed.release()?;
    let left = before.difference(&Footprint::now()?);
    if !left.is_empty() && !bed.options().keep && !bed.is_named() {
        anyhow::bail!("the test run changed the machine:\n{}", left.join("\n"));
    }
    Ok(conclusion.exit_code())
}

/// Removes the cluster when the user has had enough: the harness knows no way to be asked to stop.
#[allow(
    clippy::exit,
    reason = "the tests are in threads that can't be ended otherwise"
)]
fn end_on_signal(bed: Arc<Bed>) {
    thread::spawn(move || {
        while !bed.stop().is_raised() {
            thread::sleep(Duration::from_millis(100));
        }
        say("interrupted: removing the cluster");
        if let Err(error) = bed.abandon() {
            say(&format!(
                "cargo e2e: {error:#}; `cargo cluster down` tries again"
            ));
        }
        std::process::exit(130);
    });
}
