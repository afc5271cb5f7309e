//! The store through its public face: what is committed survives, what is judged is kept, and
//! nothing happens twice.

mod bench;
mod bounds;
mod choices;
mod erase;
mod feedback;
mod floods;
mod held;
mod letters;
mod looking;
mod opening;
mod queue;
mod races;
