//! natsguard on a real cluster: what it repairs and refuses, and what nobody notices of it.

pub mod absence;
pub mod certificates;
pub mod conduct;
pub mod cost;
pub mod faults;
pub mod hidden;
pub mod hostile;
pub mod load;
pub mod manifests;
pub mod own_secret;
pub mod release;
pub mod updates;

use std::time::Duration;

/// For what takes seconds where the machine is idle.
const START: Duration = Duration::from_secs(90);
