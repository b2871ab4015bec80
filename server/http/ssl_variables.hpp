// $ssl_ variables.
#pragma once

namespace mp::http {

class VariableTable;
void define_ssl_variables(VariableTable& table);

}  // namespace mp::http
