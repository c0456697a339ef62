// WAIT: how many replicas have what this client has written, on the shard where they are fewest.
//
//   INFO replication to each node written to      -> how far the node is: what has to be reached
//   until enough replicas are there, or the time is over:
//     WAIT for more replicas than there are, for some milliseconds, on a connection of its own
//                                                 -> the node asks its replicas how far they are
//     INFO replication                            -> how far they are
//
// A node's own WAIT counts from the last write of the connection it comes on, which is of no use on
// a connection that others write on, and from Redis 7.2 on reads do not move it. What the node says
// about itself is the same in all versions. It has executed the client's writes, as they have been
// answered, so what is asked for is at least as much: the number is never too high.
//
// A slot that has moved since counts where it was written, as on a connection to that node.
//
// A node that was lost after it was written to (WriteHistory) makes one error of the next WAIT, as
// what it executed last may be gone; a client of one server would have lost its connection.
#pragma once

#include <memory>

#include "proxy/operation.h"
#include "proxy/operations/operation_call.h"

namespace rcproxy::proxy {

std::unique_ptr<Operation> MakeWait(const OperationCall& call);

}  // namespace rcproxy::proxy
