//! `natsguard doctor`: walks the way of a review, from the webhook configurations to the answer, and says where it ends.

mod call;
mod lease;
mod line;
mod rights;
mod trust;
mod way;

use std::io;
use std::path::Path;

use tokio::net::lookup_host;

use self::line::{Line, State};
use self::way::Target;
use super::{SUCCESS, UNUSABLE, apiserver, complain, print};
use crate::args::Doctor;
use crate::certificates::bundles;
use crate::certificates::now;
use crate::kubernetes::words;
use crate::output::visible;
use crate::rights::{controller, webhook as webhook_rights};

/// Something is broken.
const BROKEN: u8 = 1;

const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

pub(super) fn run(args: Doctor) -> io::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let lines = match runtime.block_on(examine(args)) {
        Ok(lines) => lines,
        Err(problem) => {
            complain(&problem);
            return Ok(UNUSABLE);
        }
    };
    runtime.shutdown_background();
    let text: Vec<String> = lines
        .iter()
        .map(|line| visible(&line.to_string()))
        .collect();
    print(format!("{}\n", text.join("\n")).as_bytes())?;
    let broken = lines.iter().any(|line| line.state == State::Broken);
    Ok(if broken { BROKEN } else { SUCCESS })
}

async fn examine(args: Doctor) -> Result<Vec<Line>, String> {
    let client = apiserver::client().await?;
    let version = client.apiserver_version().await.map_err(|error| {
        let why = words(&error);
        format!("can't reach the apiserver: {why}; see to the kubeconfig")
    })?;
    let mut lines = vec![Line::fine(
        "apiserver",
        format!("Kubernetes {}", version.git_version),
    )];
    let namespace = args
        .place
        .namespace
        .clone()
        .unwrap_or_else(|| client.default_namespace().to_owned());
    let service = args.place.service.clone();
    let mut bundle = None;
    for configuration in args.place.configurations() {
        match bundles::object(&client, &configuration).await {
            Ok(Some(object)) => {
                let to = (namespace.as_str(), service.as_str());
                let (found, usable) = trust::judge(&configuration, &object, to, now());
                lines.extend(found);
                bundle = bundle.or(usable);
            }
            Ok(None) => lines.push(trust::absent(&configuration)),
            Err(error) => lines.push(Line::unseen(
                "configuration",
                format!("{configuration}: {}", words(&error)),
            )),
        }
    }
    let inside = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() && Path::new(TOKEN).exists();
    let account = format!("system:serviceaccount:{namespace}:{service}");
    let user = args
        .user
        .as_deref()
        .or((!inside).then_some(account.as_str()));
    let configurations = args.place.configurations();
    let mut subject = rights::Subject {
        user,
        namespace: &namespace,
        secret: &format!("{service}-ca"),
        configuration: configurations
            .first()
            .map_or("natsguard", |configuration| configuration.name.as_str()),
        lease: args.controller.as_deref().unwrap_or_default(),
        rights: webhook_rights(args.uses()),
    };
    lines.push(rights::look(&client, &subject).await);
    if let Some(lease) = args.controller.as_deref() {
        // A pod may ask about itself only.
        let account = format!("system:serviceaccount:{namespace}:{lease}");
        if !inside {
            subject.user = Some(&account);
            subject.rights = controller(args.tasks());
            lines.push(rights::look(&client, &subject).await);
        }
        lines.push(lease::look(&client, &namespace, lease).await);
    }

    let place = Target {
        client,
        namespace,
        service,
        port: args.port,
    };
    lines.extend(if inside {
        let name = place.name();
        let lookup = async { Ok(lookup_host((name.as_str(), 443)).await?.collect()) };
        place.inside(lookup, bundle.as_deref()).await
    } else {
        place.outside(bundle.as_deref()).await
    });
    Ok(lines)
}
