//! The cluster routes of a workload: how they are written, what each entry names, and what the list should say.

mod domain;
pub mod list;
pub mod name;
pub mod neighbours;
pub mod plan;
pub mod url;
