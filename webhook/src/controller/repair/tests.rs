//! Reviews, from the StatefulSet to what an apiserver keeps.

mod apiserver;
mod bed;
mod plan;
mod restart;
mod review;
