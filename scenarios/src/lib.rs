//! Stories: cluster, job, faults and checks; and the floodmark command.
