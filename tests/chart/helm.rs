//! Helm, as a program to run, and the chart's own files.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use natsguard_tests::cluster::Programs;
use natsguard_tests::cluster::command::Stop;
use serde_json::Value;

/// The release and the namespace that the tests render.
pub(crate) const RELEASE: &str = "natsguard";
pub(crate) const NAMESPACE: &str = "guards";

/// The folder of the chart.
pub(crate) fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../chart")
}

/// Text of a file of the chart.
pub(crate) fn file(name: &str) -> String {
    let path = chart().join(name);
    std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{} can't be read: {error}", path.display()))
}

/// The values files of `ci/`, by name.
pub(crate) fn ci() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(chart().join("ci"))
        .expect("the chart has a folder ci")
        .map(|entry| {
            let name = entry.expect("an entry").file_name();
            format!("ci/{}", name.to_string_lossy())
        })
        .collect();
    names.sort();
    names
}

/// Runs Helm 4: what it prints, or what it complains of.
pub(crate) fn run(arguments: &[&str]) -> Result<String, String> {
    run_by("helm", arguments)
}

/// Runs `helm`, which is Helm 4, or `helm3`.
fn run_by(program: &str, arguments: &[&str]) -> Result<String, String> {
    static HELM: LazyLock<Programs> = LazyLock::new(|| {
        let wanted = ["helm", "helm3"];
        Programs::only(&wanted, &Stop::default(), |line| eprintln!("{line}"))
            .unwrap_or_else(|error| panic!("Helm can't be built: {error:#}"))
    });
    let output = HELM
        .command(program)
        .expect("it was built")
        .args(arguments)
        .current_dir(chart())
        .output()
        .expect("what was just built starts");
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).expect("Helm prints UTF-8"))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// `helm template` with more arguments.
pub(crate) fn template(more: &[&str]) -> Result<String, String> {
    template_by("helm", more)
}

/// The same by `helm` or `helm3`.
pub(crate) fn template_by(program: &str, more: &[&str]) -> Result<String, String> {
    let first = [
        "template",
        RELEASE,
        ".",
        "--namespace",
        NAMESPACE,
        "--kube-version",
        "1.37",
    ];
    run_by(program, &[&first, more].concat())
}

/// Everything that a values file renders.
pub(crate) fn render(values: &str) -> Vec<Value> {
    objects(&template(&["--values", values]).unwrap_or_else(|error| panic!("{values}: {error}")))
}

/// The objects of a YAML stream.
pub(crate) fn objects(yaml: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(yaml)
        .unwrap_or_else(|error| panic!("not YAML: {error}\n{yaml}"));
    all.into_iter().filter(|value| !value.is_null()).collect()
}

/// The one object of a kind.
pub(crate) fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let first = found.next().unwrap_or_else(|| panic!("there is no {kind}"));
    assert!(found.next().is_none(), "there are several {kind}");
    first
}

/// The one object of a kind that belongs to a component: `webhook`, `controller`.
pub(crate) fn part<'a>(objects: &'a [Value], kind: &str, component: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| {
        let labels = &object["metadata"]["labels"];
        object["kind"] == kind && labels["app.kubernetes.io/component"] == component
    });
    let first = found
        .next()
        .unwrap_or_else(|| panic!("{component} has no {kind}"));
    assert!(found.next().is_none(), "{component} has several {kind}");
    first
}

/// Whether the controller is part of what was rendered.
pub(crate) fn has_controller(objects: &[Value]) -> bool {
    objects.iter().any(|object| {
        object["kind"] == "Deployment"
            && object["metadata"]["labels"]["app.kubernetes.io/component"] == "controller"
    })
}
