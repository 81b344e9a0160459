//! Follows the settings file, and says what became of each edit: in the log, in metrics, and as an Event where people look.

use kube::Client;

use super::events;
use crate::settings::{Event, Watch};
use crate::telemetry::metrics::Process;

/// Looks until dropped.
pub(super) async fn follow(mut watch: Watch, client: Option<Client>, metrics: Process) {
    loop {
        match watch.next().await {
            Event::Replaced { generation } => {
                metrics.settings_replaced(generation);
                tracing::info!(generation, "took new settings");
            }
            Event::Refused {
                generation,
                problem,
            } => {
                metrics.settings_refused.inc();
                tracing::error!(generation, problem, "the former settings stay");
                if let Some(client) = &client {
                    let message = format!("the former settings stay: {problem}");
                    events::warn(client, "SettingsRefused", &message).await;
                }
            }
        }
    }
}
