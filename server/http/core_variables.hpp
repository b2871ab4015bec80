// The variables every request has: of its head, its connection, its response, and of time.
#pragma once

#include "http/variables.hpp"

namespace mp::http {

void define_core_variables(VariableTable& table);
void define_request_variables(VariableTable& table);
void define_connection_variables(VariableTable& table);
void define_response_variables(VariableTable& table);

}  // namespace mp::http
