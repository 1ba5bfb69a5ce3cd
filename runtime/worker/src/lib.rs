//! Who executes: slots, deployment, restore, reporting.
