//! What is reported of each workload: the object that dashboards read, and the numbers of all of them.
//!
//! Pure: from what was seen and the settings to objects and numbers.

mod kind;
mod object;
mod summary;
mod verdict;

pub use kind::Kind;
pub use object::{MANAGED_BY, name, object, update};
pub use summary::{Summary, Unread, exemption, summarize};
pub use verdict::{Entry, Grade, Verdict, Workload};

#[cfg(test)]
pub(crate) mod schema;
#[cfg(test)]
mod tests;
