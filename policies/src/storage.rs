//! Where JetStream keeps its data: its settings, the volume that holds the store, and what is behind that volume.

pub mod backing;
pub mod claims;
pub mod drivers;
pub mod jetstream;
pub mod sharing;
